"""A configuration class as a command line: `--config FILE`, and a dotted flag for every field.

pydantic checks the values; the flags are ours because no library at hand reaches into a list (`--stages.1.lr`), lays
flags over a YAML file field by field, and names the nearest known field.
"""

from opabinia.command_line.failures import plain_errors
from opabinia.command_line.settings import load_settings, parse_settings
from opabinia.command_line.yaml_text import settings_text, write_settings

__all__ = ["load_settings", "parse_settings", "plain_errors", "settings_text", "write_settings"]

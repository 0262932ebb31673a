"""Print CV-Bench's own score of a log that lmms-eval wrote: python -m opabinia.evaluation.lmms_eval FILE_samples_cv_bench.jsonl"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

from opabinia.command_line import plain_errors
from opabinia.evaluation.lmms_eval.cv_bench import render, scores_of_log

if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m opabinia.evaluation.lmms_eval", description=__doc__)
    parser.add_argument("log", type=Path, help="file of samples that lmms_eval --log_samples wrote")
    with plain_errors():
        print(render(scores_of_log(parser.parse_args(sys.argv[1:]).log)))

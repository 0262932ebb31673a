"""Where bytes live.

`atomic` writes local files and folders that appear whole or not at all; `objects` and `folders` do so, and read, list and copy,
for local paths, `s3://` and `gs://` alike; `packaged` finds weights inside installed packages.
"""

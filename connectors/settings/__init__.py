"""What an experiment may set about each connector, a file each. No torch here: whoever asks for help would wait for it."""

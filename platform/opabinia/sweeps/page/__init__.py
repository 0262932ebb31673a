"""A sweep as one HTML page that needs no other file: ranking, plots, answers, and the commands that go on from here."""

"""What each encoder of a trained model is good for: every subset scored with stand-ins for the features of the others."""

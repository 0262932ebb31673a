"""What each encoder of a trained model is good for: every subset scored with the features of the others zeroed, no training."""

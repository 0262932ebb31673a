"""How much each encoder counts inside a trained model: attention, router or weights, question by question, no training."""

"""How each library loads a network, and how its feature maps are read: one file a library."""

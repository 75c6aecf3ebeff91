"""What a network can learn: several labels at once, or values, beside the classes of classifier.py."""

"""What a trained network says to pictures that people have."""

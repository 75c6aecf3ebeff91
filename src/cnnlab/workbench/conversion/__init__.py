"""Turns data as others publish them into what data=npz and data=image_folder read."""

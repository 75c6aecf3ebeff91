"""What runs and studies found, from the files in their folders: tables, figures, recipes."""

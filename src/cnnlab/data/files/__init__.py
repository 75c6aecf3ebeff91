"""File formats on disk, where data sets lie, and how they are downloaded."""

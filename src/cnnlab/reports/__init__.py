"""What a hyper-parameter study found, from the files in its folder: tables, figures and a recipe of the best trial."""

"""What a project has to say, and how projects are found."""

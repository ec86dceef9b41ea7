"""What pages for people are made of: templates and styles, numbers, figures."""

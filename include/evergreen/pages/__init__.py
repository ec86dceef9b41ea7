"""What pages for people are made of: templates, styles, figures as SVG."""

"""What all pages share: templates, languages, preferences, formats, static files. It knows no area."""

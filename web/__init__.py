"""What the HTTP servers share: connections that outlive an outage, answers, problems. It knows no project."""

"""What `crm-elt` can do, one module per group of commands: read arguments, call a flow, show the result."""

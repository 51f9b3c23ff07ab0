"""The dashboard: who may look at what, the live stream of changes, the SignalR hub, the pages."""

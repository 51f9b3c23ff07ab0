"""The SignalR hub protocol in JSON, as far as a server of invocations needs it."""

"""What connectors do alike unless their CRM is special."""

from __future__ import annotations

from connectors import masking, webhook_auth
from connectors.protocol import WebhookAuth, WebhookRequest


class BaseConnector:
    """Verifies webhooks by the project's scheme, and masks payloads by the names of their fields."""

    def verify_webhook(self, auth: WebhookAuth, request: WebhookRequest) -> None:
        """Raises WebhookRefusedError unless the request is authentic."""
        webhook_auth.verify(auth, request)

    def mask_payload(self, body: str) -> str:
        """The payload with names, phones, e-mails and addresses masked: for logs and people."""
        return masking.mask_payload(body)

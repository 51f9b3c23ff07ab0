"""Keeps schema vms and a CRM in step: one three-way merge, an outbox on the way out, a queue on the way in."""

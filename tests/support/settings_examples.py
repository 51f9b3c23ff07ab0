"""Connectors as the settings tests know them, so that no test depends on a vendor's package."""

from __future__ import annotations

from connectors.protocol import Capabilities, Stream

KNOWN = {
    "keycrm": Capabilities(
        streams=(Stream("orders"),),
        credentials=("api_key",),
        options={"source_id": int},
        default_base_url="https://openapi.keycrm.app/v1",
    ),
    "amocrm": Capabilities(
        streams=(Stream("orders"),),
        credentials=(),
        optional_credentials=("access_token", "client_id"),
        options={
            "pipeline_ids": list[int],
            "paid_statuses": list,
            "fields": dict,
            "title": str,
            "share": float,
        },
    ),
    "csv": Capabilities(streams=(), credentials=(), has_api=False),
}

DESIGN_EXAMPLE = """
projects:
  - id: print-shop
    name: Print shop
    crm: keycrm                      # keycrm retailcrm yclients amocrm iiko onec renovatio csv custom
    base_url: http://127.0.0.1:9001/v1
    timezone: Europe/Kyiv
    credentials: {api_key: "${PRINT_SHOP_KEY}"}      # ${VAR} from the environment; stored encrypted
    webhook: {auth: token, secret: "${PRINT_SHOP_HOOK}", ip_allow: ["10.0.0.0/8"]}   # token|hmac|bearer|standard|none
    sync: {orders: true, customers: true, products: false, interval_minutes: 5, since: 2025-01-01,
           real_time: true, batch_size: 50, retry_attempts: 3, max_concurrent_requests: 10}
    options: {source_id: 2}                   # connector-specific, validated
    status_groups: [{id: 1, name: New}, {id: 4, name: Delivery}]      # overlay on what the CRM reports
    statuses: [{id: 1, name: New, group_id: 1}, {id: 12, name: Done, group_id: 5, is_closing: true}]
    near_threshold: 0.8
    sla: [{group_id: 2, limit: "08:00", urgent_limit: "04:00"},       # hh:mm of working time, "72:30" too
          {group_id: 2, limit: "02:00", profile: vip}]                # further named grids beside normal and urgent
    cycles: [{id: to-delivery, title: To delivery, start_group: 1, end_group: 4, default: true}]
    urgent: [{match: sku, value: "Термінове виготовлення"}, {match: offer_id, value: "16"}]
    working_hours:
      default: {mon-fri: ["09:00-18:00"]}     # no default given: 24/7
      groups: {"3": {mon-thu: ["08:00-12:00", "13:00-17:00"], fri: ["22:00-06:00"]}}
      exceptions: [{date: 2025-12-25}, {date: 2025-12-24, ranges: ["09:00-13:00"], group: "3"}]
    status_map: {new: PENDING, complete: DELIVERED}   # CRM status -> VMS status
    conflict_policy: newest                   # newest | vms | crm | manual, or per field
"""
DESIGN_ENVIRON = {"PRINT_SHOP_KEY": "key-of-the-print-shop", "PRINT_SHOP_HOOK": "hook-of-the-print-shop"}

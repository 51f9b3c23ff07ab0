"""Tags of runs: what a run is for."""

PROJECT = "crm_elt/project"
CRM = "crm_elt/crm"
REQUEST = "crm_elt/request"
REASON = "crm_elt/reason"

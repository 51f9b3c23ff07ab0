"""Values as CRMs write them, turned into exact Python values. Pure; nothing here knows a CRM."""

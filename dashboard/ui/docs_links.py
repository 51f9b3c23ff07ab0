"""Addresses of the dbt docs site: where a number's definition stands in full."""

from __future__ import annotations

from database.environment import Environment


def model_page(environment: Environment, model: str) -> str:
    """The page of a model (`agg_stage_durations`) of our dbt project."""
    return f"{environment.public_docs_url}/#!/model/model.crm_elt.{model}"

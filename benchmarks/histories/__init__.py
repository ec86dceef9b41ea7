"""Histories that nobody tuned the defaults on: one module each, and one registry of them."""

from __future__ import annotations

from benchmarks.histories import (
    ad_clicks,
    appointments,
    bakery_shelf,
    bike_rentals,
    building_heat,
    card_fraud,
    cutting_tools,
    grid_load,
    loan_defaults,
    page_latency,
    parcels,
    power_prices,
    pump_sensors,
    repair_claims,
    river_gauges,
    subscriber_churn,
    support_calls,
    taxi_fares,
)
from benchmarks.histories.history import History

HISTORIES: dict[str, History] = {
    module.HISTORY.name: module.HISTORY
    for module in (
        ad_clicks,
        appointments,
        bakery_shelf,
        bike_rentals,
        building_heat,
        card_fraud,
        cutting_tools,
        grid_load,
        loan_defaults,
        page_latency,
        parcels,
        power_prices,
        pump_sensors,
        repair_claims,
        river_gauges,
        subscriber_churn,
        support_calls,
        taxi_fares,
    )
}
"""Every history by its name."""

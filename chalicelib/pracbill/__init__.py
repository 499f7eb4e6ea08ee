"""The only place that speaks to PracBill."""

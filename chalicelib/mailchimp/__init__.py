"""The only place that speaks to Mailchimp."""

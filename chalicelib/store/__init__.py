"""The only place that speaks to DynamoDB, SQS and Secrets Manager."""

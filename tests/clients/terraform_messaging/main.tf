# Bucket → queue → function → queue, and what is set on each of them: what tests/clients/test_terraform.py applies.

variable "endpoint" {
  type = string
}

# What the second apply changes.
variable "batch_size" {
  default = 10
}

variable "visibility" {
  default = 60
}

variable "retries" {
  default = 1
}

variable "suffix" {
  default = ".fastq"
}

variable "enabled" {
  default = true
}

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "000000000000"
  secret_key                  = "any"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {
    iam            = var.endpoint
    lambda         = var.endpoint
    cloudwatchlogs = var.endpoint
    s3             = var.endpoint
    sqs            = var.endpoint
    sts            = var.endpoint
  }
}

resource "aws_sqs_queue" "dead" {
  name                      = "terraform-dead"
  message_retention_seconds = 1209600
}

resource "aws_sqs_queue" "reads" {
  name                       = "terraform-reads"
  visibility_timeout_seconds = var.visibility
  receive_wait_time_seconds  = 20
  delay_seconds              = 0
  max_message_size           = 262144
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = 3
  })
  tags = {
    team  = "blue"
    stage = tostring(var.visibility)
  }
}

resource "aws_sqs_queue_redrive_allow_policy" "dead" {
  queue_url = aws_sqs_queue.dead.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.reads.arn]
  })
}

resource "aws_sqs_queue_policy" "reads" {
  queue_url = aws_sqs_queue.reads.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "bucket"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.reads.arn
      Condition = { ArnEquals = { "aws:SourceArn" = aws_s3_bucket.reads.arn } }
    }]
  })
}

resource "aws_sqs_queue" "ordered" {
  name                        = "terraform-ordered.fifo"
  fifo_queue                  = true
  content_based_deduplication = true
  deduplication_scope         = "messageGroup"
  fifo_throughput_limit       = "perMessageGroupId"
  visibility_timeout_seconds  = var.visibility
}

resource "aws_sqs_queue" "results" {
  name = "terraform-results"
}

resource "aws_iam_role" "role" {
  name = "terraform-messaging"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "queues" {
  role       = aws_iam_role.role.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
}

resource "aws_lambda_function" "worker" {
  function_name    = "terraform-worker"
  role             = aws_iam_role.role.arn
  runtime          = "python3.12"
  handler          = "index.handler"
  filename         = "code.zip"
  source_code_hash = filebase64sha256("code.zip")
  timeout          = 10

  dead_letter_config {
    target_arn = aws_sqs_queue.dead.arn
  }
}

resource "aws_lambda_event_source_mapping" "reads" {
  event_source_arn                   = aws_sqs_queue.reads.arn
  function_name                      = aws_lambda_function.worker.arn
  enabled                            = var.enabled
  batch_size                         = var.batch_size
  maximum_batching_window_in_seconds = 1
  function_response_types            = ["ReportBatchItemFailures"]

  scaling_config {
    maximum_concurrency = 7
  }
  filter_criteria {
    filter {
      pattern = jsonencode({ body = { Records = { eventName = [{ prefix = "ObjectCreated:" }] } } })
    }
  }
  tags = {
    team = "blue"
  }
}

resource "aws_lambda_event_source_mapping" "ordered" {
  event_source_arn = aws_sqs_queue.ordered.arn
  function_name    = aws_lambda_function.worker.function_name
  batch_size       = 5
}

resource "aws_lambda_function_event_invoke_config" "worker" {
  function_name                = aws_lambda_function.worker.function_name
  maximum_event_age_in_seconds = 3600
  maximum_retry_attempts       = var.retries

  destination_config {
    on_success {
      destination = aws_sqs_queue.results.arn
    }
    on_failure {
      destination = aws_sqs_queue.dead.arn
    }
  }
}

resource "aws_s3_bucket" "reads" {
  bucket        = "terraform-reads"
  force_destroy = true
}

resource "aws_lambda_permission" "bucket" {
  statement_id   = "bucket"
  function_name  = aws_lambda_function.worker.function_name
  action         = "lambda:InvokeFunction"
  principal      = "s3.amazonaws.com"
  source_arn     = aws_s3_bucket.reads.arn
  source_account = "000000000000"
}

resource "aws_s3_bucket_notification" "reads" {
  bucket = aws_s3_bucket.reads.id

  queue {
    id            = "reads"
    queue_arn     = aws_sqs_queue.reads.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "reads/"
    filter_suffix = var.suffix
  }
  lambda_function {
    lambda_function_arn = aws_lambda_function.worker.arn
    events              = ["s3:ObjectRemoved:*"]
  }
  depends_on = [aws_lambda_permission.bucket, aws_sqs_queue_policy.reads]
}

resource "aws_cloudwatch_log_group" "jobs" {
  name = "terraform-jobs"
}

resource "aws_lambda_permission" "logs" {
  statement_id  = "logs"
  function_name = aws_lambda_function.worker.function_name
  action        = "lambda:InvokeFunction"
  principal     = "logs.amazonaws.com"
  source_arn    = "${aws_cloudwatch_log_group.jobs.arn}:*"
}

resource "aws_cloudwatch_log_subscription_filter" "errors" {
  name            = "errors"
  log_group_name  = aws_cloudwatch_log_group.jobs.name
  filter_pattern  = "ERROR"
  destination_arn = aws_lambda_function.worker.arn
  depends_on      = [aws_lambda_permission.logs]
}

output "reads" {
  value = aws_sqs_queue.reads.url
}

output "results" {
  value = aws_sqs_queue.results.url
}

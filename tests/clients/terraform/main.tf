# A role, a log group, a function, its version and an alias: what tests/clients/test_terraform.py applies.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {}

variable "timeout" {
  default = 5
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "000000000000"
  secret_key                  = "any"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  endpoints {
    iam            = var.endpoint
    lambda         = var.endpoint
    cloudwatchlogs = var.endpoint
    sts            = var.endpoint
  }
}

resource "aws_iam_role" "role" {
  name = "terraform-role"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.role.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_cloudwatch_log_group" "logs" {
  name              = "/aws/lambda/terraform-function"
  retention_in_days = 7
}

resource "aws_lambda_function" "function" {
  function_name    = "terraform-function"
  role             = aws_iam_role.role.arn
  runtime          = "python3.12"
  handler          = "index.handler"
  filename         = "code.zip"
  source_code_hash = filebase64sha256("code.zip")
  timeout          = var.timeout
  publish          = true
  environment {
    variables = {
      MODE = "terraform"
    }
  }
  tags = {
    team = "blue"
  }
  depends_on = [aws_cloudwatch_log_group.logs]
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.function.function_name
  function_version = aws_lambda_function.function.version
}

output "version" {
  value = aws_lambda_function.function.version
}

# A role, a log group, a layer, a function, its version, alias, URL, permissions and reserved concurrency: what tests/clients/test_terraform.py applies.
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
  layers           = [aws_lambda_layer_version.words.arn]

  reserved_concurrent_executions = 10

  snap_start {
    apply_on = "PublishedVersions"
  }

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

resource "aws_lambda_layer_version" "words" {
  layer_name          = "terraform-words"
  filename            = "layer.zip"
  source_code_hash    = filebase64sha256("layer.zip")
  compatible_runtimes = ["python3.12"]
}

resource "aws_lambda_layer_version_permission" "shared" {
  layer_name     = aws_lambda_layer_version.words.layer_name
  version_number = aws_lambda_layer_version.words.version
  statement_id   = "shared"
  principal      = "111122223333"
  action         = "lambda:GetLayerVersion"
}

resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.function.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "NONE"
  invoke_mode        = "BUFFERED"

  cors {
    allow_credentials = true
    allow_origins     = ["https://phage.example"]
    allow_methods     = ["GET", "POST"]
    allow_headers     = ["x-genome"]
    max_age           = 60
  }
}

resource "aws_lambda_permission" "everybody" {
  for_each               = { "lambda:InvokeFunctionUrl" = "NONE", "lambda:InvokeFunction" = null }
  statement_id           = replace(each.key, ":", "-")
  function_name          = aws_lambda_function.function.function_name
  qualifier              = aws_lambda_alias.live.name
  action                 = each.key
  principal              = "*"
  function_url_auth_type = each.value
}

resource "aws_lambda_permission" "events" {
  statement_id  = "events"
  function_name = aws_lambda_function.function.function_name
  action        = "lambda:InvokeFunction"
  principal     = "events.amazonaws.com"
  source_arn    = "arn:aws:events:us-east-1:000000000000:rule/nightly"
}

resource "aws_lambda_runtime_management_config" "function" {
  function_name     = aws_lambda_function.function.function_name
  update_runtime_on = "FunctionUpdate"
}

output "url" {
  value = aws_lambda_function_url.live.function_url
}

output "version" {
  value = aws_lambda_function.function.version
}

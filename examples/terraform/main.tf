terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "endpoint" {
  description = "Where hearth up listens."
  default     = "http://127.0.0.1:4566"
}

variable "greeting" {
  default = "hello"
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "000000000000"
  secret_key                  = "any"
  skip_credentials_validation = false
  skip_metadata_api_check     = true
  skip_requesting_account_id  = false
  skip_region_validation      = true

  endpoints {
    iam    = var.endpoint
    lambda = var.endpoint
    logs   = var.endpoint
    sts    = var.endpoint
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "greeter" {
  name               = "greeter"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = { team = "examples" }
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.greeter.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_iam_role_policy" "reads" {
  name = "reads"
  role = aws_iam_role.greeter.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "s3:GetObject", Resource = "*" }]
  })
}

resource "aws_cloudwatch_log_group" "greeter" {
  name              = "/aws/lambda/greeter"
  retention_in_days = 7
}

resource "aws_lambda_function" "greeter" {
  function_name    = "greeter"
  role             = aws_iam_role.greeter.arn
  runtime          = "nodejs20.x"
  handler          = "index.handler"
  filename         = "${path.module}/greeter.zip"
  source_code_hash = filebase64sha256("${path.module}/greeter.zip")
  memory_size      = 256
  timeout          = 10
  publish          = true
  layers           = [aws_lambda_layer_version.words.arn]
  # Never more than ten calls at once, and room for ten whatever other functions do.
  reserved_concurrent_executions = 10
  depends_on       = [aws_cloudwatch_log_group.greeter]
  tags             = { team = "examples" }

  environment {
    variables = { GREETING = var.greeting }
  }
}

# What several functions share.
resource "aws_lambda_layer_version" "words" {
  layer_name          = "words"
  filename            = "${path.module}/words.zip"
  source_code_hash    = filebase64sha256("${path.module}/words.zip")
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.greeter.function_name
  function_version = aws_lambda_function.greeter.version
}

# http://<id>.lambda-url.us-east-1.localhost:4566/, open to everybody.
resource "aws_lambda_function_url" "live" {
  function_name      = aws_lambda_function.greeter.function_name
  qualifier          = aws_lambda_alias.live.name
  authorization_type = "NONE"

  cors {
    allow_origins = ["*"]
    allow_methods = ["GET"]
  }
}

resource "aws_lambda_permission" "everybody" {
  statement_id           = "everybody"
  function_name          = aws_lambda_function.greeter.function_name
  qualifier              = aws_lambda_alias.live.name
  action                 = "lambda:InvokeFunctionUrl"
  principal              = "*"
  function_url_auth_type = "NONE"
}

# A URL needs this one, too, since October 2025.
resource "aws_lambda_permission" "everybody_calls" {
  statement_id  = "everybody-calls"
  function_name = aws_lambda_function.greeter.function_name
  qualifier     = aws_lambda_alias.live.name
  action        = "lambda:InvokeFunction"
  principal     = "*"
}

output "arn" {
  value = aws_lambda_alias.live.arn
}

output "url" {
  value = aws_lambda_function_url.live.function_url
}

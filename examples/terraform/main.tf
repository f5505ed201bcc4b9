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
  depends_on       = [aws_cloudwatch_log_group.greeter]
  tags             = { team = "examples" }

  environment {
    variables = { GREETING = var.greeting }
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.greeter.function_name
  function_version = aws_lambda_function.greeter.version
}

output "arn" {
  value = aws_lambda_alias.live.arn
}

# Buckets with what people set on them, objects and a copy.

variable "endpoint" {
  type = string
}

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "000000000000"
  secret_key                  = "any"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_requesting_account_id  = true
  skip_metadata_api_check     = true
  endpoints {
    s3  = var.endpoint
    sts = var.endpoint
    iam = var.endpoint
  }
}

resource "aws_s3_bucket" "b" {
  bucket        = "terraform-bucket"
  force_destroy = true
  tags          = { team = "a", stage = "b" }
}

resource "aws_s3_bucket_versioning" "v" {
  bucket = aws_s3_bucket.b.id
  versioning_configuration { status = "Enabled" }
}

resource "aws_s3_bucket_lifecycle_configuration" "l" {
  bucket = aws_s3_bucket.b.id
  rule {
    id     = "logs"
    status = "Enabled"
    filter { prefix = "logs/" }
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    expiration { days = 365 }
    noncurrent_version_expiration { noncurrent_days = 10 }
  }
  rule {
    id     = "uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload { days_after_initiation = 3 }
  }
  depends_on = [aws_s3_bucket_versioning.v]
}

resource "aws_s3_bucket_public_access_block" "p" {
  bucket                  = aws_s3_bucket.b.id
  block_public_acls       = true
  block_public_policy     = false
  ignore_public_acls      = true
  restrict_public_buckets = false
}

resource "aws_s3_bucket_policy" "p" {
  bucket     = aws_s3_bucket.b.id
  policy     = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { AWS = "arn:aws:iam::000000000000:root" }, Action = ["s3:GetObject"], Resource = "${aws_s3_bucket.b.arn}/*" }] })
  depends_on = [aws_s3_bucket_public_access_block.p]
}

resource "aws_s3_bucket_ownership_controls" "o" {
  bucket = aws_s3_bucket.b.id
  rule { object_ownership = "BucketOwnerPreferred" }
}

resource "aws_s3_bucket_acl" "a" {
  bucket     = aws_s3_bucket.b.id
  acl        = "private"
  depends_on = [aws_s3_bucket_ownership_controls.o]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "e" {
  bucket = aws_s3_bucket.b.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}

resource "aws_s3_bucket_cors_configuration" "c" {
  bucket = aws_s3_bucket.b.id
  cors_rule {
    allowed_methods = ["GET", "PUT"]
    allowed_origins = ["https://example.com"]
    allowed_headers = ["*"]
    max_age_seconds = 300
  }
}

resource "aws_s3_bucket_website_configuration" "w" {
  bucket = aws_s3_bucket.b.id
  index_document { suffix = "index.html" }
  error_document { key = "error.html" }
}

resource "aws_s3_bucket" "log" {
  bucket              = "terraform-log"
  force_destroy       = true
  object_lock_enabled = true
}

resource "aws_s3_bucket_object_lock_configuration" "k" {
  bucket = aws_s3_bucket.log.id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = 1
    }
  }
}

resource "aws_s3_bucket_logging" "g" {
  bucket        = aws_s3_bucket.b.id
  target_bucket = aws_s3_bucket.log.id
  target_prefix = "access/"
}

resource "aws_s3_bucket_intelligent_tiering_configuration" "i" {
  bucket = aws_s3_bucket.b.id
  name   = "all"
  tiering {
    access_tier = "ARCHIVE_ACCESS"
    days        = 125
  }
}

resource "aws_s3_object" "index" {
  bucket       = aws_s3_bucket.b.id
  key          = "site/index with spaces+.html"
  content      = "<h1>hello</h1>"
  content_type = "text/html"
  metadata     = { note = "x" }
  depends_on   = [aws_s3_bucket_versioning.v]
}

resource "aws_s3_object_copy" "copy" {
  bucket = aws_s3_bucket.b.id
  key    = "copied"
  source = "${aws_s3_bucket.b.id}/${aws_s3_object.index.key}"
}

data "aws_s3_objects" "all" {
  bucket     = aws_s3_bucket.b.id
  depends_on = [aws_s3_object.index, aws_s3_object_copy.copy]
}

data "aws_s3_object" "one" {
  bucket = aws_s3_bucket.b.id
  key    = aws_s3_object.index.key
}

output "body" { value = data.aws_s3_object.one.body }

output "keys" { value = data.aws_s3_objects.all.keys }

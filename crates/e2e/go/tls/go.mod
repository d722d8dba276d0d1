module concord.example/e2e/tls

go 1.21

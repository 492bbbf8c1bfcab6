module k3sstandin

go 1.24

// Verifies, serves and dials with Go's own crypto/x509 and crypto/tls: a second opinion about
// certificates of the mesh. Standard library only.
//
//	verify ROOTS CHAIN                         prints the identity
//	judge  DIRECTORY                           for each N.root.pem with N.leaf.pem: N and what is wrong, if anything
//	serve  CERT KEY ROOTS URI                  prints its address, echoes to clients with that identity
//	dial   ADDRESS CERT KEY ROOTS URI MESSAGE  prints what came back from a server with that identity
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "verify":
		uri, err := identity(args[1], args[2])
		if err == nil {
			fmt.Println(uri)
		}
		return err
	case len(args) == 2 && args[0] == "judge":
		return judge(args[1])
	case len(args) == 5 && args[0] == "serve":
		return serve(args[1], args[2], args[3], args[4])
	case len(args) == 7 && args[0] == "dial":
		return dial(args[1], args[2], args[3], args[4], args[5], args[6])
	}
	return errors.New("usage: verify | judge | serve | dial")
}

func judge(directory string) error {
	roots, err := filepath.Glob(filepath.Join(directory, "*.root.pem"))
	if err != nil {
		return err
	}
	for _, root := range roots {
		name := strings.TrimSuffix(filepath.Base(root), ".root.pem")
		if _, err := identity(root, strings.TrimSuffix(root, ".root.pem")+".leaf.pem"); err != nil {
			fmt.Println(name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Println(name)
		}
	}
	return nil
}

func identity(rootsFile, chainFile string) (string, error) {
	roots, err := pool(rootsFile)
	if err != nil {
		return "", err
	}
	chain, err := certificates(chainFile)
	if err != nil {
		return "", err
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if err := verifyChain(roots, chain, usage); err != nil {
			return "", err
		}
	}
	if len(chain[0].URIs) != 1 {
		return "", fmt.Errorf("%d URIs", len(chain[0].URIs))
	}
	return chain[0].URIs[0].String(), nil
}

func serve(cert, key, rootsFile, uri string) error {
	config, err := mutual(cert, key, rootsFile, uri, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return err
	}
	config.ClientAuth = tls.RequireAnyClientCert
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if _, err := io.Copy(conn, conn); err != nil && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, "connection:", err)
			}
		}()
	}
}

func dial(address, cert, key, rootsFile, uri, message string) error {
	config, err := mutual(cert, key, rootsFile, uri, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return err
	}
	// The name of a server of the mesh is its URI, checked below with the chain.
	config.InsecureSkipVerify = true
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 20 * time.Second}, "tcp", address, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, message); err != nil {
		return err
	}
	back := make([]byte, len(message))
	if _, err := io.ReadFull(conn, back); err != nil {
		return err
	}
	state := conn.ConnectionState()
	fmt.Printf("%s %s\n", tls.VersionName(state.Version), back)
	return nil
}

func mutual(cert, key, rootsFile, uri string, usage x509.ExtKeyUsage) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, err
	}
	roots, err := pool(rootsFile)
	if err != nil {
		return nil, err
	}
	check := func(raw [][]byte, _ [][]*x509.Certificate) error {
		var chain []*x509.Certificate
		for _, der := range raw {
			one, err := x509.ParseCertificate(der)
			if err != nil {
				return err
			}
			chain = append(chain, one)
		}
		if err := verifyChain(roots, chain, usage); err != nil {
			return err
		}
		if len(chain[0].URIs) != 1 || chain[0].URIs[0].String() != uri {
			return fmt.Errorf("identity %v, wanted %s", chain[0].URIs, uri)
		}
		return nil
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, VerifyPeerCertificate: check, MinVersion: tls.VersionTLS12}, nil
}

func verifyChain(roots *x509.CertPool, chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, one := range chain[1:] {
		between.AddCert(one)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func pool(file string) (*x509.CertPool, error) {
	all, err := certificates(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	for _, one := range all {
		roots.AddCert(one)
	}
	return roots, nil
}

func certificates(file string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no certificate in %s", file)
	}
	return found, nil
}

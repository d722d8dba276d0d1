// Reads resources as proxies are sent them, and tells which of their fields the API of an older Envoy does not know.
//
// The standard input has one resource after the other: the length of an Any, as four bytes with the highest first, and
// the Any. What is found is printed: a line for each unknown field, with the message it is in and its number. The last
// line counts the messages.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	_ "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/file/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/access_loggers/stream/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/clusters/aggregate/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_http1_bridge/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/grpc_stats/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/http_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/original_dst/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/connection_limit/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/sni_cluster/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

var messages int

func main() {
	for {
		own, err := next(os.Stdin)
		if errors.Is(err, io.EOF) {
			fmt.Printf("messages: %d\n", messages)
			return
		}
		if err == nil {
			err = check(own)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// The next resource.
func next(from io.Reader) (*anypb.Any, error) {
	var length uint32
	if err := binary.Read(from, binary.BigEndian, &length); err != nil {
		return nil, err
	}
	bytes := make([]byte, length)
	if _, err := io.ReadFull(from, bytes); err != nil {
		return nil, fmt.Errorf("a resource is cut off: %w", err)
	}
	own := &anypb.Any{}
	return own, proto.Unmarshal(bytes, own)
}

func check(own *anypb.Any) error {
	message, err := own.UnmarshalNew()
	if err != nil {
		return fmt.Errorf("%s: %w", own.TypeUrl, err)
	}
	return walk(message.ProtoReflect())
}

// Looks at a message and all that it contains.
func walk(own protoreflect.Message) error {
	messages++
	for rest := own.GetUnknown(); len(rest) > 0; {
		number, _, length := protowire.ConsumeField(rest)
		if length < 0 {
			return protowire.ParseError(length)
		}
		fmt.Printf("%s field %d\n", own.Descriptor().FullName(), number)
		rest = rest[length:]
	}
	if inner, ok := own.Interface().(*anypb.Any); ok {
		return check(inner)
	}
	var failed error
	own.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		failed = walkField(field, value)
		return failed == nil
	})
	return failed
}

func walkField(field protoreflect.FieldDescriptor, value protoreflect.Value) error {
	switch {
	case field.IsMap() && field.MapValue().Message() != nil:
		var failed error
		value.Map().Range(func(_ protoreflect.MapKey, own protoreflect.Value) bool {
			failed = walk(own.Message())
			return failed == nil
		})
		return failed
	case field.IsList() && field.Message() != nil:
		for at := range value.List().Len() {
			if err := walk(value.List().Get(at).Message()); err != nil {
				return err
			}
		}
	case !field.IsMap() && !field.IsList() && field.Message() != nil:
		return walk(value.Message())
	}
	return nil
}

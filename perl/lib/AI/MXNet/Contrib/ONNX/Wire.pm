package AI::MXNet::Contrib::ONNX::Wire;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

# ONNX files are protocol buffers. As much of that format as the messages below need: they become hashes by field name, and hashes
# become bytes. The numbers of the fields are those of onnx.proto; fields that are not listed are passed over.

# By number: name, kind, and whether there are many of it. A kind is another message, or int, float (fixed32), double or bytes.
my %MESSAGE = (
    Model => {
        1 => ['ir_version', 'int'],
        2 => ['producer_name', 'bytes'],
        3 => ['producer_version', 'bytes'],
        7 => ['graph', 'Graph'],
        8 => ['opset_import', 'OperatorSet', 1],
    },
    OperatorSet => { 1 => ['domain', 'bytes'], 2 => ['version', 'int'] },
    Graph => {
        1 => ['node', 'Node', 1],
        2 => ['name', 'bytes'],
        5 => ['initializer', 'Tensor', 1],
        11 => ['input', 'ValueInfo', 1],
        12 => ['output', 'ValueInfo', 1],
    },
    Node => {
        1 => ['input', 'bytes', 1],
        2 => ['output', 'bytes', 1],
        3 => ['name', 'bytes'],
        4 => ['op_type', 'bytes'],
        5 => ['attribute', 'Attribute', 1],
    },
    Attribute => {
        1 => ['name', 'bytes'],
        2 => ['f', 'float'],
        3 => ['i', 'int'],
        4 => ['s', 'bytes'],
        5 => ['t', 'Tensor'],
        7 => ['floats', 'float', 1],
        8 => ['ints', 'int', 1],
        9 => ['strings', 'bytes', 1],
        20 => ['type', 'int'],
    },
    Tensor => {
        1 => ['dims', 'int', 1],
        2 => ['data_type', 'int'],
        4 => ['float_data', 'float', 1],
        5 => ['int32_data', 'int', 1],
        7 => ['int64_data', 'int', 1],
        8 => ['name', 'bytes'],
        9 => ['raw_data', 'bytes'],
        10 => ['double_data', 'double', 1],
    },
    ValueInfo => { 1 => ['name', 'bytes'], 2 => ['type', 'Type'] },
    Type => { 1 => ['tensor_type', 'TensorType'] },
    TensorType => { 1 => ['elem_type', 'int'], 2 => ['shape', 'Shape'] },
    Shape => { 1 => ['dim', 'Dimension', 1] },
    Dimension => { 1 => ['dim_value', 'int'], 2 => ['dim_param', 'bytes'] },
);
use constant { VARINT => 0, FIXED64 => 1, BYTES => 2, FIXED32 => 5 };
my %WIRE = (int => VARINT, float => FIXED32, double => FIXED64);

# Seven bits a byte, the lowest first; negative numbers as 64 bits.
sub _varint
{
    my $number = shift;
    my $bytes = '';
    my $left = $number < 0 ? unpack('Q', pack 'q', $number) : $number;
    while ($left >= 128) {
        $bytes .= chr($left & 127 | 128);
        $left >>= 7;
    }
    return $bytes . chr $left;
}

sub encode
{
    my ($message, $hash) = @_;
    my $fields = $MESSAGE{$message};
    my $bytes = '';
    for my $number (sort { $a <=> $b } keys %$fields) {
        my ($name, $kind, $many) = @{ $fields->{$number} };
        next if not defined $hash->{$name};
        for my $value ($many ? @{ $hash->{$name} } : $hash->{$name}) {
            my $wire = $WIRE{$kind} // BYTES;
            my $data =
                  $kind eq 'int' ? _varint($value)
                : $kind eq 'float' ? pack('f<', $value)
                : $kind eq 'double' ? pack('d<', $value)
                : do {
                my $inner = $MESSAGE{$kind} ? encode($kind, $value) : $value;
                utf8::encode($inner) if utf8::is_utf8($inner);
                _varint(length $inner) . $inner;
                };
            $bytes .= _varint($number << 3 | $wire) . $data;
        }
    }
    return $bytes;
}

sub _short { return AI::MXNet::Keshi::fail('ONNX: the file ends in the middle of a field') }

# The number that begins at $$at.
sub _read_varint
{
    my ($bytes, $at) = @_;
    my ($number, $shift) = (0, 0);
    while (1) {
        _short() if $$at >= length $$bytes or $shift > 63;
        my $byte = ord substr $$bytes, $$at++, 1;
        $number |= ($byte & 127) << $shift;
        last if $byte < 128;
        $shift += 7;
    }
    return $number;
}

sub _read_bytes
{
    my ($bytes, $at, $length) = @_;
    _short() if $length > length($$bytes) - $$at;
    my $piece = substr $$bytes, $$at, $length;
    $$at += $length;
    return $piece;
}

sub _signed { return unpack 'q', pack 'Q', $_[0] }

# What a field of that kind holds, in its wire form; numbers may stand packed, many in one field.
sub _values
{
    my ($kind, $wire, $bytes, $at) = @_;
    if ($wire == BYTES) {
        my $piece = _read_bytes($bytes, $at, _read_varint($bytes, $at));
        return decode($kind, $piece) if $MESSAGE{$kind};
        return $piece if $kind eq 'bytes';
        return unpack 'f<*', $piece if $kind eq 'float';
        return unpack 'd<*', $piece if $kind eq 'double';
        my ($place, @numbers) = (0);
        push @numbers, _signed(_read_varint(\$piece, \$place)) while $place < length $piece;
        return @numbers;
    }
    return _signed(_read_varint($bytes, $at)) if $wire == VARINT;
    return unpack 'f<', _read_bytes($bytes, $at, 4) if $wire == FIXED32;
    return unpack 'd<', _read_bytes($bytes, $at, 8) if $wire == FIXED64;
    return AI::MXNet::Keshi::fail("ONNX: the file has a field of wire type $wire, want 0, 1, 2 or 5");
}

sub decode
{
    my ($message, $bytes) = @_;
    my $fields = $MESSAGE{$message};
    my %hash = map { $_->[2] ? ($_->[0] => []) : () } values %$fields;
    my $at = 0;
    while ($at < length $bytes) {
        my $tag = _read_varint(\$bytes, \$at);
        my ($name, $kind, $many) = @{ $fields->{ $tag >> 3 } // ['', 'bytes'] };
        my @values = _values($kind, $tag & 7, \$bytes, \$at);
        if ($many) { push @{ $hash{$name} }, @values }
        elsif (length $name) { $hash{$name} = $values[-1] }
    }
    return \%hash;
}

1;

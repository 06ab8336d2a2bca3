package AI::MXNet::NDArray::File;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);

# MXNet's files, little-endian. A list: magic, 0, the count, the records, the count of names, the names.
my $LIST = 0x112;
my ($V1, $V2, $V3) = (0xF993FAC8, 0xF993FAC9, 0xF993FACA);

my @DTYPE = qw(float32 float64 float16 uint8 int32 int8 int64);
$DTYPE[12] = 'bfloat16';
my %CODE = map { defined $DTYPE[$_] ? ($DTYPE[$_] => $_) : () } 0 .. $#DTYPE;
my %SIZE = (
    float32 => 4,
    float64 => 8,
    float16 => 2,
    bfloat16 => 2,
    uint8 => 1,
    int8 => 1,
    int32 => 4,
    int64 => 8
);

sub _invalid { return AI::MXNet::Keshi::fail("Invalid NDArray file format: $_[0]") }

# -- writing

sub encode_one
{
    my $array = shift;
    my $context = $array->context;
    my @shape = @{ $array->shape };
    return
          pack('L< l< l< q<*', $V2, 0, scalar @shape, @shape)
        . pack('l<3', $context->device_type_id, $context->device_id, $CODE{ $array->dtype })
        . $array->bytes;
}

sub encode
{
    my $arrays = shift;
    my @names = ref $arrays eq 'HASH' ? keys %$arrays : ();
    my @arrays = ref $arrays eq 'HASH' ? @$arrays{@names} : @$arrays;
    for my $array (@arrays) {
        AI::MXNet::Keshi::fail('save: got ' . ($array // 'undef') . ', want an AI::MXNet::NDArray')
            if not blessed($array)
            or not $array->isa('AI::MXNet::NDArray');
    }
    utf8::encode($_) for @names;
    return join '', pack('Q<3', $LIST, 0, scalar @arrays), (map { encode_one($_) } @arrays),
        pack('Q<', scalar @names), map { pack('Q</a*', $_) } @names;
}

sub save
{
    my ($file, $arrays) = @_;
    AI::MXNet::Keshi::fail('save: got ' . ($arrays // 'undef') . ', want a list or a hash of arrays')
        if blessed($arrays)
        or ref($arrays) !~ /^(?:ARRAY|HASH)$/;
    my $bytes = encode($arrays);
    open my $out, '>:raw', $file or AI::MXNet::Keshi::fail("save: cannot write $file: $!");
    print {$out} $bytes or AI::MXNet::Keshi::fail("save: cannot write $file: $!");
    close $out or AI::MXNet::Keshi::fail("save: cannot write $file: $!");
    return;
}

# -- reading; `$bytes` is a reference, `$at` the place in it

sub _take
{
    my ($bytes, $at, $format, $size) = @_;
    _invalid("it ends after $$at bytes of what should follow") if $$at + $size > length $$bytes;
    my @values = unpack $format, substr $$bytes, $$at, $size;
    $$at += $size;
    return wantarray ? @values : $values[0];
}

sub _dims
{
    my ($bytes, $at, $count, $letter, $size) = @_;
    _invalid("an array of $count dimensions") if $count < 0 or $count > 32;
    my @dims = _take($bytes, $at, "$letter$count", $size * $count);
    _invalid("a dimension of $_") for grep { $_ < 0 } @dims;
    return @dims;
}

# One record at offset `$start`: the array (undef for a record of none) and the offset behind it.
sub decode_one
{
    my ($bytes, $start) = @_;
    my $at = $start;
    my $magic = _take($bytes, \$at, 'L<', 4);
    my @shape;
    if ($magic == $V2) {
        my $stype = _take($bytes, \$at, 'l<', 4);
        AI::MXNet::Keshi::fail("load: a sparse array (storage type $stype), and this build reads dense ones")
            if $stype != 0;
        @shape = _dims($bytes, \$at, scalar _take($bytes, \$at, 'l<', 4), 'q<', 8);
    } elsif ($magic == $V1) {
        @shape = _dims($bytes, \$at, scalar _take($bytes, \$at, 'l<', 4), 'q<', 8);
    } elsif ($magic == $V3) {
        _invalid('an array with NumPy shape semantics');
    } else {
        @shape = _dims($bytes, \$at, $magic, 'L<', 4);
    }
    return (undef, $at) if not @shape;
    my ($device, $id, $code) = _take($bytes, \$at, 'l<3', 12);
    my $dtype = $code >= 0 ? $DTYPE[$code] : undef;
    _invalid("a dtype numbered $code") if not defined $dtype;
    my $size = $SIZE{$dtype};
    for my $dim (@shape) {
        $size *= $dim;
        _invalid("an array of shape @shape in a file of @{[ length $$bytes ]} bytes")
            if $size > length $$bytes;
    }
    my $data = _take($bytes, \$at, 'a*', $size);
    return (AI::MXNet::NDArray->from_bytes($data, \@shape, dtype => $dtype, ctx => AI::MXNet::Context->cpu), $at);
}

sub decode
{
    my $bytes = shift;
    my $at = 0;
    _invalid('it is shorter than its header') if not defined $bytes or length $bytes < 24;
    my ($magic, $reserved, $count) = _take(\$bytes, \$at, 'Q<3', 24);
    _invalid(sprintf 'it begins with %#x, want %#x', $magic, $LIST) if $magic != $LIST;
    _invalid("$count arrays in @{[ length $bytes ]} bytes") if $count * 4 > length $bytes;
    my @arrays;
    for (1 .. $count) {
        (my $array, $at) = decode_one(\$bytes, $at);
        push @arrays, $array;
    }
    my $named = _take(\$bytes, \$at, 'Q<', 8);
    return \@arrays if not $named;
    _invalid("$named names for $count arrays") if $named != $count;
    my %named;
    for my $array (@arrays) {
        my $length = _take(\$bytes, \$at, 'Q<', 8);
        my $name = _take(\$bytes, \$at, 'a*', $length);
        utf8::decode($name);
        $named{$name} = $array;
    }
    return \%named;
}

sub load
{
    my $file = shift;
    open my $in, '<:raw', $file or AI::MXNet::Keshi::fail("load: cannot read $file: $!");
    my $bytes = do { local $/ = undef; <$in> };
    close $in or AI::MXNet::Keshi::fail("load: cannot read $file: $!");
    return decode($bytes);
}

1;

__END__

=head1 NAME

AI::MXNet::NDArray::File - arrays in MXNet's binary format

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    use File::Temp qw(tempdir);
    my $file = tempdir(CLEANUP => 1) . '/net.params';
    nd->save($file, { weight => nd->ones([2, 3]), bias => nd->zeros([2]) });
    my $back = nd->load($file);
    print "$_ $back->{$_}\n" for sort keys %$back;

=head1 DESCRIPTION

What stands behind C<save>, C<load> and C<load_frombuffer> of L<AI::MXNet::NDArray>, and behind Storable's C<freeze> and
C<dclone> of arrays. A list of arrays or a hash of them is written as MXNet 1.x writes it; files of all its versions are read.
Whatever context an array had, it is read onto C<cpu(0)>.

=head1 DIAGNOSTICS

A file that is damaged or is something else dies with C<Invalid NDArray file format> and the reason.

=cut

use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use Compress::Zlib ();
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);

# Files of others: NumPy's and safetensors.
my $dir = tempdir(CLEANUP => 1);

sub spew
{
    my ($file, $bytes) = @_;
    open my $out, '>:raw', $file or die $!;
    print {$out} $bytes;
    return close $out;
}

my @dtypes = qw(float32 float64 float16 uint8 int8 int32 int64);
my %arrays = map { $_ => nd->array([[1, 2, 3], [4, 5, 6]], dtype => $_) } @dtypes;
for my $format (qw(npz safetensors)) {
    my $save = "save_$format";
    nd->$save("$dir/$format", \%arrays);
    my $back = nd->load("$dir/$format");
    is_deeply([sort keys %$back], [sort @dtypes], "$format: names");
    is_array($back->{$_}, [2, 3], [1 .. 6], "$format: $_", $_) for @dtypes;
}
nd->save_npy("$dir/one.npy", $arrays{int32});
is_array(nd->load("$dir/one.npy")->[0], [2, 3], [1 .. 6], 'npy', 'int32');
nd->save_npz("$dir/list.npz", [$arrays{float32}, $arrays{uint8}]);
is_deeply([sort keys %{ nd->load("$dir/list.npz") }], [qw(arr_0 arr_1)], 'a list gets the names that NumPy gives');
nd->save_safetensors("$dir/half", { h => $arrays{float32}->astype('bfloat16') });
is_array(nd->load("$dir/half")->{h}, [2, 3], [1 .. 6], 'safetensors: bfloat16', 'bfloat16');

# A file as NumPy writes it: column-major and big-endian.
my $header = "{'descr': '>f8', 'fortran_order': True, 'shape': (2, 2), }";
$header .= ' ' x (117 - length $header) . "\n";
my $npy = "\x93NUMPY\x01\x00" . pack('v/a*', $header) . pack('d>4', 1, 3, 2, 4);
is_array(nd->load_frombuffer($npy)->[0], [2, 2], [1 .. 4], 'another order', 'float64');

# An archive that is compressed, with the sizes where NumPy puts them.
my ($deflate) = Compress::Zlib::deflateInit(-WindowBits => -Compress::Zlib::MAX_WBITS());
my $packed = $deflate->deflate($npy) . $deflate->flush;
my @sums = (Compress::Zlib::crc32($npy), length $packed, length $npy);
my $entry = pack 'v5 V3 v2', 20, 0, 8, 0, 0x21, @sums, length 'k.npy', 0;
my $local = "PK\x03\x04$entry" . "k.npy$packed";
my $central = "PK\x01\x02" . pack('v', 20) . $entry . pack('v3 V2', 0, 0, 0, 0, 0) . 'k.npy';
my $end = "PK\x05\x06" . pack 'v4 V2 v', 0, 0, 1, 1, length $central, length $local, 0;
is_array(nd->load_frombuffer("$local$central$end")->{k}, [2, 2], [1 .. 4], 'a compressed archive', 'float64');
substr($local, 40, 1) ^= "\x01";
dies_with(sub { nd->load_frombuffer("$local$central$end") },
    qr/^load: zip: 'k\.npy' (?:is damaged|cannot be unpacked)/, 'damage');

my $json = '{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"format":"pt"}}';
my $tensors = pack('Q<', length $json) . $json . pack 'f<2', 5, 6;
is_array(nd->load_frombuffer($tensors)->{w}, [2], [5, 6], 'safetensors by hand');
dies_with(sub { nd->load_frombuffer($tensors . 'x') }, qr/safetensors: 1 bytes are left over/, 'something behind it');
dies_with(
    sub { nd->save_npy("$dir/x.npy", nd->ones([1])->astype('bfloat16')) },
    qr/NumPy has no bfloat16/,
    'no such type'
);
dies_with(sub { nd->save_safetensors("$dir/x", [nd->ones([1])]) }, qr/want a name for each array/, 'names are needed');
dies_with(sub { nd->load("$dir/nothing") }, qr/^load: cannot read '.*nothing'/, 'no such file');
dies_with(sub { nd->save_npz("$dir/no/where", [nd->ones([1])]) }, qr/^save: cannot write/, 'no such folder');
spew("$dir/empty", '');
dies_with(sub { nd->load("$dir/empty") }, qr/^load: Invalid NDArray file format/, 'an empty file');

done_testing;

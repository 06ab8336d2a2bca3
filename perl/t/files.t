use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use Storable qw(freeze thaw dclone);
use AI::MXNet qw(mx);

my $dir = tempdir(CLEANUP => 1);

sub slurp { my $file = shift; open my $in, '<:raw', $file or die $!; local $/ = undef; return scalar <$in> }

sub spew
{
    my ($file, $bytes) = @_;
    open my $out, '>:raw', $file or die $!;
    print {$out} $bytes;
    return close $out;
}

my $x = nd->array([[1, 2], [3, 4]]);
nd->save("$dir/list", [$x, nd->array([7], dtype => 'int32')]);
my $back = nd->load("$dir/list");
is_array($back->[0], [2, 2], [1 .. 4], 'a list');
is_array($back->[1], [1], [7], 'of another dtype', 'int32');
my @dtypes = qw(float32 float64 float16 uint8 int8 int32 int64);
nd->save("$dir/dtypes", [map { nd->array([1, 2, 3], dtype => $_) } @dtypes]);
is_array($_->[0], [3], [1, 2, 3], "saved $_->[1]", $_->[1]) for AI::MXNet::zip(nd->load("$dir/dtypes"), \@dtypes);
nd->save("$dir/hash", { 'arg:weight' => $x->at(1), "n\x{e4}me" => $x->slice(0) });
$back = nd->load("$dir/hash");
is_deeply([sort keys %$back], ['arg:weight', "n\x{e4}me"], 'a hash');
is_array($back->{'arg:weight'}, [2], [3, 4], 'with views');
is(ref nd->load_frombuffer(slurp("$dir/hash")), 'HASH', 'from a buffer');
nd->save("$dir/none", []);
is_deeply(nd->load("$dir/none"), [], 'no arrays');
nd->save("$dir/far", [nd->ones([1], ctx => mx->cpu(2))]);
is(nd->load("$dir/far")->[0]->context . '', 'cpu(0)', 'all load onto cpu(0)');

my $bytes =
      pack('Q<3', 0x112, 0, 1)
    . pack('L< l< l< q< q<', 0xF993FAC9, 0, 2, 1, 2)
    . pack('l<3', 1, 0, 0)
    . pack('f<2', 5, 6)
    . pack('Q< Q</a*', 1, 'w');
nd->save("$dir/exact", { w => nd->array([[5, 6]]) });
is(unpack('H*', slurp("$dir/exact")), unpack('H*', $bytes), 'the bytes are those of the format');
my $v1 =
      pack('Q<3', 0x112, 0, 1)
    . pack('L< l< q< q<', 0xF993FAC8, 2, 1, 2)
    . pack('l<3', 1, 0, 0)
    . pack('f<2', 5, 6)
    . pack('Q<', 0);
is_array(nd->load_frombuffer($v1)->[0], [1, 2], [5, 6], 'version 1');
my $old = pack('Q<3', 0x112, 0, 1) . pack('L<3', 2, 1, 2) . pack('l<3', 1, 0, 4) . pack('l<2', 5, 6) . pack('Q<', 0);
is_array(nd->load_frombuffer($old)->[0], [1, 2], [5, 6], 'the oldest', 'int32');

spew("$dir/bad", 'not an array file at all, but long enough');
dies_with(sub { nd->load("$dir/bad") }, qr/Invalid NDArray file format: it begins with/, 'something else');
dies_with(sub { nd->load_frombuffer('short') }, qr/Invalid NDArray file format/, 'too short for a header');
for my $length (0 .. length($bytes) - 1) {
    next if eval { nd->load_frombuffer(substr $bytes, 0, $length); 0 };
    like($@, qr/Invalid NDArray file format/, "cut after $length bytes") if $length % 16 == 0;
}
my $huge = $bytes;
substr($huge, 36, 8) = pack 'q<', 1 << 60;
dies_with(sub { nd->load_frombuffer($huge) }, qr/Invalid NDArray file format: .*shape/, 'a shape larger than the file');
dies_with(sub { nd->load("$dir/absent") }, qr/load: cannot read '.*absent': /, 'no such file');
dies_with(sub { nd->save("$dir/no/such/folder", []) }, qr/save: cannot write/, 'no such folder');
dies_with(sub { nd->save("$dir/x", $x) }, qr/save: got .*, want a list or a hash of arrays/, 'an array alone');
dies_with(sub { nd->save("$dir/x", [1]) }, qr/save: got '1', want an AI::MXNet::NDArray/, 'a number');

my $copy = thaw(freeze($x));
$x += 10;
is_array($copy, [2, 2], [1 .. 4], 'freeze and thaw');
my $deep = dclone({ list => [$x, nd->array([5], dtype => 'int64')], name => 'net' });
is_array($deep->{list}[1], [1], [5], 'dclone', 'int64');
$x->writable(0);
is(dclone($x)->writable, 0, 'a read-only array stays so');

done_testing;

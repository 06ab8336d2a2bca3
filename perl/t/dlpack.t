use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

my $x = nd->array([[1, 2], [3, 4]]);
my $tensor = $x->to_dlpack;
isa_ok($tensor, 'AI::MXNet::DLPack');
ok($tensor->address, 'it has an address');
my $y = nd->from_dlpack($tensor);
is_array($y, [2, 2], [1 .. 4], 'there and back');
$y += 1;
is_close($x, [2 .. 5], 'both are the same memory');
is($tensor->address, 0, 'what was taken is gone');
dies_with(sub { nd->from_dlpack($tensor) }, qr/^from_dlpack: the tensor has been taken already/, 'it is taken once');

my $rows = nd->from_dlpack($x->slice([1, 1])->to_dlpack->release);
is_array($rows, [1, 2], [4, 5], 'by its address, of a view');
for my $dtype (qw(float64 float16 bfloat16 uint8 int8 int32 int64)) {
    is_array(
        nd->from_dlpack(nd->ones([3], dtype => 'float32')->astype($dtype)->to_dlpack),
        [3], [1, 1, 1],
        $dtype, $dtype
    );
}
dies_with(sub { nd->from_dlpack('x') }, qr/^from_dlpack: got 'x', want an AI::MXNet::DLPack/, 'something else');

undef $_ for $x, $y, $rows, $tensor;
my ($before) = AI::MXNet::Keshi::memory();
{
    my $unused = nd->ones([100])->to_dlpack;
    my $kept = nd->from_dlpack(nd->ones([100])->to_dlpack);
    is_close($kept->sum, [100], 'an array outlives the one it came from');
}
my ($after) = AI::MXNet::Keshi::memory();
is($after, $before, 'all memory comes back');

done_testing;

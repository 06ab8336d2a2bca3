use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use PDL;

needs_operators(qw(sum _full));

# -- copies

my $x = nd->array([[1, 2, 3], [4, 5, 6]]);
my $p = $x->aspdl;
is(join(',', $p->dims), '3,2', 'the dimensions are reversed');
is($p->at(2, 1), 6, 'column 2 of row 1');
$p *= 100;
is_close($x, [1 .. 6], 'a copy');
is("$p", "\n[\n [100 200 300]\n [400 500 600]\n]\n", 'printed as PDL prints');
my %type = (
    float32 => 'float',
    float64 => 'double',
    float16 => 'float',
    uint8 => 'byte',
    int8 => 'sbyte',
    int32 => 'long',
    int64 => 'longlong'
);

for my $dtype (sort keys %type) {
    my $back = nd->array([0, 1, 127], dtype => $dtype)->aspdl;
    is($back->type . ' ' . join(' ', $back->list), "$type{$dtype} 0 1 127", "$dtype as PDL");
    is_array(nd->array($back, dtype => $dtype), [3], [0, 1, 127], "$dtype from PDL", $dtype);
}
is(nd->zeros([2])->sum->aspdl->sclr, 0, 'sclr of one element');
is(nd->array([])->aspdl->nelem, 0, 'an empty array');
is_array(nd->array(sequence(2, 2, 3)), [3, 2, 2], [0 .. 11], 'from a PDL');
is_array(nd->array(pdl(9)), [1], [9], 'a PDL without dimensions');
is_array(nd->array(sequence(4, 3)->slice('1:2,:')), [3, 2], [1, 2, 5, 6, 9, 10], 'a slice');
is_array(nd->array(sequence(2, 2)->transpose), [2, 2], [0, 2, 1, 3], 'a transposed PDL');
is_array(nd->array([pdl(1, 2), pdl(3, 4)]), [2, 2], [1 .. 4], 'a list of PDLs');
is_array(nd->array(pdl(1.9, -1.9, 300), dtype => 'uint8'), [3], [1, 255, 44], 'converted as PDL converts', 'uint8');
is_array(nd->array($_->new_from_specification(2)->inplace->zeroes + 7), [2], [7, 7], 'every type of PDL: ' . $_->type)
    for map { PDL->zeroes(PDL::Type->new($_), 1) } qw(sbyte byte short ushort long longlong float double);
my $bad = pdl(1, 2, 3);
$bad->inplace->setvaltobad(2);
is_array(nd->array($bad), [3], [1, 'nan', 3], 'bad values are NaN');
dies_with(sub { nd->array($bad, dtype => 'int32') }, qr/array: the PDL has bad values/, 'where there is one');
dies_with(sub { nd->array(cfloat(1)) }, qr/complex/, 'complex numbers');

require PDL::Matrix;
my $matrix = PDL::Matrix::mpdl([[1, 2, 3], [4, 5, 6]]);
is_array(nd->array($matrix), [2, 3], [1 .. 6], 'from a PDL::Matrix');
my $m = $x->asmpdl;
isa_ok($m, 'PDL::Matrix');
is(join(' ', map { $m->at(@$_) } [0, 1], [1, 0], [1, 2]), '2 4 6', 'elements by row and column');

# -- views

my $shared = nd->array([[1, 2], [3, 4]]);
my $view = $shared->pdl_view;
is("$view", "\n[\n [1 2]\n [3 4]\n]\n", 'a view has the values');
$view->set(0, 1, 30);
is_close($shared, [1, 2, 30, 4], 'writing the view writes the array');
$shared .= 5;
is($view->sum, 20, 'and the other way');
undef $shared;
is($view->sum, 20, 'the view keeps the memory');
my $slice = $view->slice('0,:');
undef $view;
is($slice->sum, 10, 'so does a slice of it');
$slice .= 1;
is($slice->sum, 2, 'which can be written');
my $small = nd->array([7])->pdl_view;
is($small + 1, pdl(8), 'one element');
my $large = nd->ones([1000])->pdl_view;
is($large->sum, 1000, 'many');
ok(!eval { $large->reshape(2000); 1 }, 'a view does not grow');
dies_with(sub { nd->ones([2], dtype => 'float16')->pdl_view }, qr/pdl_view: got float16/, 'no PDL type');

my $lent = sequence(3, 2);
my $on = nd->from_pdl_view($lent);
is_array($on, [2, 3], [0 .. 5], 'an array on a PDL', 'float64');
$on += 1;
is(join(' ', $lent->list), '1 2 3 4 5 6', 'writing the array writes the PDL');
my $row = $on->at(1);
undef $lent;
undef $on;
is_close($row, [4, 5, 6], 'the array keeps the memory');
undef $row;
my $again = sequence(2);
{
    my $one = nd->from_pdl_view($again);
    my $two = nd->from_pdl_view($again);
    undef $one;
    ok(!eval { $again->reshape(100); 1 }, 'a lent PDL does not grow');
    $again = sequence(50);
}
{
    my $one = nd->from_pdl_view($again);
}
$again->reshape(100);
is($again->nelem, 100, 'afterwards it does');
dies_with(sub { nd->from_pdl_view(sequence(4)->slice('1:2')) }, qr/flows from another/, 'a slice');
dies_with(sub { nd->from_pdl_view(short(1)) }, qr/no dtype/, 'a type without a dtype');
dies_with(sub { nd->from_pdl_view([1]) }, qr/from_pdl_view: got a list, want a PDL/, 'a list');
dies_with(sub { nd->from_pdl_view(nd->ones([2])->pdl_view) }, qr/memory is not its own/, 'a view of an array');

ok(!eval { sumover($x); 1 }, 'an array is no PDL to PDL');

done_testing;

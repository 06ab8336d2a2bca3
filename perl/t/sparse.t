use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use File::Temp qw(tempdir);
use PDL;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use AI::MXNet::TestUtils qw(rand_sparse_ndarray rand_ndarray);

needs_operators(qw(dot sum sgd_update concat));

sub is_sparse
{
    my ($got, $stype, $values, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is($got->stype, $stype, $name) if $got->stype ne $stype;
    $got->check_format if $stype ne 'default';
    return is_close($got, $values, $name);
}

# -- making and reading

my $csr = nd->sparse->csr_matrix([[0, 1, 0], [2, 0, 3]]);
is_array($csr->data, [3], [1, 2, 3], 'data');
is_array($csr->indices, [3], [1, 0, 2], 'indices', 'int64');
is_array($csr->indptr, [3], [0, 1, 3], 'indptr', 'int64');
is("$csr", "\n<AI::MXNet::NDArray::CSR, 2x3 \@cpu(0)>", 'text');
is_deeply([$csr->shape, $csr->dtype, $csr->ndim, $csr->_num_aux], [[2, 3], 'float32', 2, 2], 'properties');
is_sparse($csr, 'csr', [0, 1, 0, 2, 0, 3], 'the whole');
is_sparse(nd->sparse->csr_matrix([[1, 2, 3], [1, 0, 2], [0, 1, 3]]), 'csr', [0, 1, 0, 2, 0, 3], 'from parts');
is_sparse(
    nd->sparse->csr_matrix([[5, 7], [[1, 0], [1, 2]]], shape => [2, 3]),
    'csr',
    [0, 0, 7, 0, 5, 0],
    'from coordinates out of order'
);
is_deeply(nd->sparse->csr_matrix([4, 5], dtype => 'float64')->shape, [4, 5], 'from a shape');
my $rows = nd->sparse->row_sparse_array([[[1, 2]], [3]], shape => [5, 2]);
is_sparse($rows, 'row_sparse', [(0) x 6, 1, 2, 0, 0], 'row_sparse');
is("$rows", "\n<AI::MXNet::NDArray::RowSparse, 5x2 \@cpu(0)>", 'its text');
is_sparse(nd->sparse->row_sparse_array(nd->array([[0, 0], [1, 0]])), 'row_sparse', [0, 0, 1, 0], 'of a dense array');
is_sparse(nd->sparse->retain($rows, nd->array([1, 3])), 'row_sparse', [(0) x 6, 1, 2, 0, 0], 'retain');
is_close(nd->sparse->retain($rows, nd->array([1, 3]))->indices, [1, 3], 'keeps the rows that are asked for');
is(nd->zeros([2, 3], stype => $_)->stype, $_, "zeros of $_") for qw(csr row_sparse);
SKIP: {
    skip 'needs PDL::CCS', 2 if not $AI::MXNet::Base::CCS;
    is_sparse(nd->array(pdl([[1, 0], [0, 2]])->tocsr), 'csr', [1, 0, 0, 2], 'a PDL::CCS::Nd');
    is_deeply([$csr->aspdlccs->decode->list], [0, 1, 0, 2, 0, 3], 'and the way back');
}
dies_with(sub { nd->sparse->csr_matrix(pdl([2, 2]), shape => [3, 2]) }, qr/^Shape mismatch detected/, 'a wrong shape');
dies_with(
    sub { nd->sparse->csr_matrix($rows) },
    qr{^Unexpected input type: AI::MXNet::NDArray::RowSparse},
    'another kind'
);
dies_with(sub { $csr->reshape([3, 2]) }, qr/Not implemented/, 'reshape');
dies_with(sub { $csr->tostype('row_sparse') }, qr/not supported/, 'from kind to kind');
for my $case (
    ['falling indptr', [[1, 2], [0, 1], [0, 2, 1, 2]]],
    ['an index beyond', [[1, 2], [0, 9], [0, 1, 2, 2]]],
    ['a negative index', [[1, 2], [0, -1], [0, 1, 2, 2]]],
    ['indices out of order', [[1, 2], [1, 0], [0, 2, 2, 2]]],
    )
{
    my $bad = nd->sparse->csr_matrix($case->[1], shape => [3, 3]);
    dies_with(sub { $bad->check_format }, qr/^check_format: /, "check_format: $case->[0]");
}

# -- casts and copies

my $dense = nd->array([[0, 1], [0, 0], [2, 3]]);
is_close($dense->tostype('row_sparse')->indices, [0, 2], 'tostype');
is_sparse(nd->cast_storage($dense, stype => 'csr'), 'csr', [0, 1, 0, 0, 2, 3], 'cast_storage');
is_sparse($dense->tostype('csr')->tostype('default'), 'default', [0, 1, 0, 0, 2, 3], 'and back');
is($csr->astype('float64')->dtype, 'float64', 'astype');
my $to = nd->zeros([2, 3], stype => 'csr');
$csr->copyto($to);
is_sparse($to, 'csr', [0, 1, 0, 2, 0, 3], 'copyto');
nd->ones([2, 3])->copyto($to);
is($to->data->size, 6, 'from a dense array');
$to .= nd->array([[0, 0, 4], [0, 0, 0]]);
is_close($to->data, [4], 'an assignment');
is_sparse($csr->slice([1, 1]), 'csr', [2, 0, 3], 'rows');
is_sparse($csr->slice(-1), 'csr', [2, 0, 3], 'the last one');
is_sparse($csr->slice(begin => [0, 1], end => [2, 3]), 'csr', [1, 0, 0, 3], 'a region');

# -- operators

my %results = (
    'csr * 2' => [$csr * 2, 'csr', [0, 2, 0, 4, 0, 6]],
    'csr / 2' => [$csr / 2, 'csr', [0, .5, 0, 1, 0, 1.5]],
    'csr + 1' => [$csr + 1, 'default', [1, 2, 1, 3, 1, 4]],
    '1 - csr' => [1 - $csr, 'default', [1, 0, 1, -1, 1, -2]],
    'csr + csr' => [$csr + $csr, 'csr', [0, 2, 0, 4, 0, 6]],
    'csr - csr' => [$csr - $csr, 'csr', [(0) x 6]],
    'csr * dense' => [$csr * nd->ones([2, 3]), 'csr', [0, 1, 0, 2, 0, 3]],
    'dense + csr' => [nd->ones([2, 3]) + $csr, 'default', [1, 2, 1, 3, 1, 4]],
    'csr == csr' => [$csr == $csr, 'default', [(1) x 6]],
    '-csr' => [-$csr, 'csr', [0, -1, 0, -2, 0, -3]],
    'sqrt' => [$csr->square->sqrt, 'csr', [0, 1, 0, 2, 0, 3]],
    'exp' => [nd->zeros([1, 2], stype => 'csr')->exp, 'default', [1, 1]],
    'clip' => [nd->clip($csr, 0, 2), 'csr', [0, 1, 0, 2, 0, 2]],
    'sum' => [$csr->sum(axis => 1), 'default', [1, 5]],
    'dot' => [nd->dot($csr, nd->ones([3, 1])), 'default', [1, 5]],
    'dot, transposed' => [nd->dot($csr, nd->ones([2, 1]), transpose_a => 1), 'row_sparse', [2, 1, 3]],
    'concat' => [nd->concat($csr, $csr, dim => 0), 'csr', [(0, 1, 0, 2, 0, 3) x 2]],
    'rows + rows' => [$rows + $rows, 'row_sparse', [(0) x 6, 2, 4, 0, 0]],
);
is_sparse(@{ $results{$_} }, $_) for sort keys %results;
my $sum = $csr->copy;
$sum += $csr;
is_sparse($sum, 'csr', [0, 2, 0, 4, 0, 6], 'in place');
my $weight = nd->array([[1, 1], [0, 0], [2, 2]])->tostype('row_sparse');
my $updated = nd->sgd_update($weight, nd->ones([3, 2]), { lr => 1, out => $weight });
is($updated->handle, $weight->handle, 'out is what comes back');
is_sparse($weight, 'row_sparse', [0, 0, -1, -1, 1, 1], 'and is written');

# -- what would not fit in memory as a whole

{
    my ($rows, $columns) = (1000, 50_000_000);
    my @at = map { 49_999 * $_ } 0 .. $rows - 1;
    my $wide = nd->sparse->csr_matrix([[(2) x $rows], \@at, [0 .. $rows]], shape => [$rows, $columns]);
    my $factors =
        nd->sparse->row_sparse_array([[map { [$_, 1] } 0 .. 9], [map { $at[$_] } 0 .. 9]], shape => [$columns, 2]);
    my $product = nd->dot($wide, $factors);
    is_close($product->slice([0, 10])->reshape([-1]), [(map { (2 * $_, 2) } 0 .. 9), 0, 0], 'csr . row_sparse');
    my $back = nd->dot($wide, nd->ones([$rows, 2]), transpose_a => 1);
    is_deeply([$back->stype, $back->shape, $back->data->shape], ['row_sparse', [$columns, 2], [$rows, 2]],
        'transposed');
    is_close(($wide + $wide * 2)->data->slice([0, 2]), [6, 6, 6], 'sums of csr');
    is_close(($wide * $wide)->square->sum(axis => 1)->slice([0, 1]),
        [16, 16], 'products, functions and sums over columns');
    is_close(($factors - $factors * 3)->data->slice([8, 9])->reshape([-1]), [-16, -2, -18, -2], 'differences of rows');
    is_close(nd->_square_sum($factors, axis => 1, keepdims => 1)->data->slice([0, 2])->reshape([-1]),
        [1, 2, 5], 'square_sum');
    is_close(nd->sparse->retain($factors, nd->array([$at[3], 7], dtype => 'int64'))->data->reshape([-1]),
        [0, 0, 3, 1], 'retain');
    is_close(nd->norm($wide), [sqrt 4 * $rows], 'norm');
    is_deeply(nd->concat($wide, $wide, dim => 0)->shape, [2 * $rows, $columns], 'concat');

    $factors->attach_grad;
    my $loss;
    autograd->record(sub { $loss = nd->dot($wide, $factors)->square->sum + nd->dot($wide, $factors->square)->sum });
    $loss->backward;
    my $grad = $factors->grad;
    is_deeply(
        [$grad->stype, $grad->data->shape],
        ['row_sparse', [$rows, 2]],
        'a gradient of the rows that were touched'
    );
    is_close($grad->data->slice([2, 2])->reshape([-1]), [2 * 8 + 2 * 2 * 2, 8 + 4], 'with the right values');
    my ($mean, $variance) = map { nd->zeros([$columns, 2], stype => 'row_sparse') } 1, 2;
    nd->sparse->adam_update($factors, $grad, $mean, $variance, { lr => 0.5, beta2 => 0.75, out => $factors });
    is($factors->data->shape->[0], $rows, 'a lazy update keeps to them');
    is_close($factors->data->slice([0, 0])->reshape([-1]), [0, 1 - 0.5 * 0.1 * 12 / 6], 'and moves them');
}

# A lazy update of some rows is the dense one of a weight that has no others.
for my $case (
    [sgd_update => 0, {}],
    [sgd_mom_update => 1, { momentum => 0.9 }],
    [adam_update => 2, {}],
    [ftrl_update => 2, {}],
    [_sparse_adagrad_update => 1, {}],
    )
{
    my ($name, $states, $params) = @$case;
    for my $stype ($name eq 'ftrl_update' ? () : 'default', 'row_sparse') {
        my @values = map { nd->random->uniform(low => 0.5, high => 1, shape => [6, 2]) } 0 .. $states;
        my $change = nd->random->uniform(low => -1, high => 1, shape => [3, 2]);
        my @whole = map { $_->copy->tostype($stype) } @values;
        my @some = map { nd->take($_, nd->array([1, 2, 5])) } @values;
        my $rows = nd->sparse->row_sparse_array([$change, [1, 2, 5]], shape => [6, 2]);
        my %with = (lr => 0.1, wd => $name =~ /adagrad/ ? 0 : 0.01, %$params);
        nd->$name($whole[0], $rows, @whole[1 .. $states], { %with, out => $whole[0] });
        nd->$name($some[0], $change, @some[1 .. $states], { %with, out => $some[0] });

        for my $i (0 .. $states) {
            my @want = map { [$_->list] } $values[$i]->aspdl->dog;
            my @new = map { [$_->list] } $some[$i]->aspdl->dog;
            @want[1, 2, 5] = @new;
            is_close($whole[$i], [map { @$_ } @want], "$name of $stype, array $i");
        }
    }
}

# FTRL makes every weight of a dense array from its states, those without a gradient too.
for my $update (
    sub {
        my ($w, $g) = @_;
        my @states = map { nd->zeros([3, 1], stype => $w->stype) } 1, 2;
        nd->ftrl_update($w, $g, @states, { lr => 0.1, out => $w });
    },
    sub { my ($w, $g) = @_; mx->optimizer->get_updater(mx->optimizer->Ftrl)->(0, $g, $w) },
    )
{
    my %after;
    for my $stype (qw(default row_sparse)) {
        my $w = nd->ones([3, 1])->tostype($stype);
        $update->($w, nd->sparse->row_sparse_array([[[1]], [1]], shape => [3, 1]));
        $after{$stype} = [$w->tostype('default')->aspdl->list];
    }
    is_deeply([@{ $after{default} }[0, 2]], [0, 0], 'ftrl of a dense weight: all rows');
    is_deeply([@{ $after{row_sparse} }[0, 2]], [1, 1], 'ftrl of rows: those of the gradient');
    cmp_ok(abs($after{default}[1] - $after{row_sparse}[1]), '<', 1e-6, 'which it changes the same way');
}

# -- gradients

my $embed = nd->array([[0, 1], [2, 3], [4, 5], [6, 7]]);
for my $weight ($embed, $embed->tostype('row_sparse')) {
    $weight->attach_grad(stype => 'row_sparse');
    my $y;
    for (1, 2) {
        autograd->record(
            sub {
                $y = nd->Embedding(nd->array([3, 1, 3]), $weight, input_dim => 4, output_dim => 2, sparse_grad => 1);
                $y = $y * nd->array([[1, 2], [3, 4], [5, 6]]);
            }
        );
        $y->backward;
    }
    is_close($weight->grad->indices, [1, 3], 'an embedding touches rows of a ' . $weight->stype . ' weight');
    is_sparse($weight->grad, 'row_sparse', [0, 0, 3, 4, 0, 0, 6, 8], 'which get the sums');
    $weight->grad->set(0);
    is($weight->grad->data->size, 0, 'and are forgotten');
    $weight->attach_grad(stype => 'row_sparse', grad_req => 'add');
    for (1, 2) {
        autograd->record(sub { $y = $weight->square->sum * $_ + nd->broadcast_mul($weight, nd->ones([1, 2])) });
        $y->backward;
    }
    is_sparse($weight->grad, 'row_sparse', [map { 8 * 6 * $_ + 2 } 0 .. 7], 'gradients that add up, of any operator');
}

my $w = nd->ones([3, 2]);
$w->attach_grad(stype => 'row_sparse');
my $y;
autograd->record(sub { $y = nd->dot($csr, $w) });
$y->backward;
is_sparse($w->grad, 'row_sparse', [2, 2, 1, 1, 3, 3], 'a sparse gradient of a dense array');
my $x = $csr->copy;
$x->attach_grad;
autograd->record(sub { $y = nd->dot($x * 2, $w) });
$y->backward;
is_sparse($x->grad, 'csr', [(4) x 6], 'a sparse gradient of a sparse array');
$x->grad->set(0);
is($x->grad->data->size, 0, 'and shares its memory');

# What is computed of rows that are not stored has its gradient too.
{
    my ($p, $q) = map { nd->array($_)->tostype('row_sparse') } [[1], [0], [3]], [[0], [5], [2]];
    $_->attach_grad for $p, $q;
    my ($product, $looked);
    autograd->record(sub { $product = $p * $q + $p - $q * 3 });
    is($product->stype, 'row_sparse', 'arithmetic of variables');
    $product->backward;
    is_sparse($p->grad, 'row_sparse', [1, 6, 3], 'one of them');
    is_sparse($q->grad, 'row_sparse', [-2, -3, 0], 'the other');
    my $second = nd->array([[0, 1, 0]])->tostype('csr');
    autograd->record(sub { $looked = nd->dot($second, ($p * 2)->sin) });
    $looked->backward;
    is_close($p->grad->indices, [1], 'a row that is not stored');
    is_close($p->grad->data, [2], 'has a gradient');
    autograd->record(sub { $looked = $p->copy->sum });
    $looked->backward;
    is_sparse($p->grad, 'row_sparse', [1, 1, 1], 'through a copy and a sum');
    my $z = nd->array([[1, 0], [2, 3]]);
    $z->attach_grad;
    autograd->record(sub { $looked = nd->cast_storage($z * $z, stype => 'csr') });
    $looked->backward;
    is_close($z->grad, [2, 0, 4, 6], 'a cast');
    my $long = nd->sparse->row_sparse_array([[[3, 4]], [1]], shape => [9, 2]);
    is(gluon->utils->clip_global_norm([$long], 1), 5, 'clip_global_norm');
    is_close($long->data, [0.6, 0.8], 'scales rows');
}
is_sparse(nd->slice($csr, begin => [0, 1], end => [2, 3]), 'csr', [1, 0, 0, 3], 'slice of the class');
is_close(nd->slice(nd->array([[1, 2], [3, 4]]), begin => [0, 1], end => [2, 2]), [2, 4], 'of a dense array as well');

# -- files and Storable

my $dir = tempdir(CLEANUP => 1);
nd->save("$dir/sparse", { csr => $csr, rows => $rows, dense => $dense });
my $back = nd->load("$dir/sparse");
is_sparse($back->{csr}, 'csr', [0, 1, 0, 2, 0, 3], 'a csr array in a file');
is_sparse($back->{rows}, 'row_sparse', [(0) x 6, 1, 2, 0, 0], 'a row_sparse one');
is_array($back->{dense}, [3, 2], [0, 1, 0, 0, 2, 3], 'beside a dense one');
is_sparse(Storable::dclone([$csr])->[0], 'csr', [0, 1, 0, 2, 0, 3], 'dclone');
dies_with(sub { nd->save_npz("$dir/x", [$csr]) }, qr/hold no sparse arrays/, 'other formats do not take them');

# -- random ones

for my $stype (qw(csr row_sparse)) {
    my ($array, $parts) = rand_sparse_ndarray([20, 30], $stype, density => 0.3);
    is($array->stype, $stype, "a random $stype array");
    ok(eval { $array->check_format; 1 }, 'is in order') or diag $@;
    is(rand_ndarray([4, 4], $stype)->stype, $stype, 'rand_ndarray');
}

my ($wide) = rand_sparse_ndarray([32, 1_000_000], 'csr', density => 0.001, distribution => 'powerlaw');
is_deeply($wide->shape, [32, 1_000_000], 'a wide one');
is($wide->data->size, 32_000, 'has as many elements as the density says');
is_deeply([$wide->indptr->slice([0, 4])->aspdl->list], [0, 2, 6, 14, 30], 'rows double');
ok(eval { $wide->check_format; 1 }, 'and are in order') or diag $@;

done_testing;

use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);

needs_operators(qw(dot square LogisticRegressionOutput adam_update));

# The example learns what a linear model cannot: who likes what.
my @perl = ($^X, map { "-I$_" } grep { !ref } @INC);
my @lines = qx(@perl examples/factorization_machine.pl 4 2>&1);
is($?, 0, 'it runs') or diag @lines;
my ($right) = ($lines[-1] // '') =~ /^epoch 4: ([\d.]+)% right$/;
cmp_ok($right // 0, '>', 90, 'and learns') or diag @lines;

# A graph of sparse arrays, bound by hand: grad_req add, no gradient, reshaping, monitoring.
my ($x, $w) = (mx->sym->Variable('x', stype => 'csr'), mx->sym->Variable('w', stype => 'row_sparse'));
my $net = mx->sym->sum(mx->sym->square(mx->sym->dot($x, $w, name => 'xw')), axis => 1, name => 'sums');
my $data = nd->array([[0, 1, 0, 2], [3, 0, 0, 0]]);
my $weight = nd->array([[1, 2], [3, 4], [5, 6], [7, 8]]);
my $grad = nd->zeros([4, 2], stype => 'row_sparse');
my $exec = $net->bind(
    ctx => mx->cpu,
    args => { x => $data->tostype('csr'), w => $weight->tostype('row_sparse') },
    args_grad => { w => $grad },
    grad_req => { w => 'add' },
);
my @seen;
$exec->set_monitor_callback(sub { push @seen, "$_[0] @{ $_[1]->shape }" });
is_close($exec->forward(1)->[0], [17**2 + 20**2, 9 + 36], 'forward');
is_deeply(\@seen, ['xw_output 2 2', grep({ /square/ } @seen), 'sums_output 2'], 'what is computed is shown');
my $output = $exec->outputs->[0];
$exec->backward for 1, 2;
is_close($grad->indices, [0, 1, 3], 'only rows that were touched');
is_close($grad->data->reshape([-1]), [map { 2 * $_ } 18, 36, 34, 40, 68, 80], 'gradients add up');
$exec->forward(0, x => nd->array([[1, 0, 0, 0], [0, 0, 0, 0]]));
is_close($output, [5, 0], 'outputs are the same arrays after each pass');
my $smaller = $exec->reshape({ x => [1, 4], w => [4, 2] });
is_close($smaller->forward(0, x => nd->array([[0, 0, 1, 0]]))->[0], [61], 'another shape, the same weight');

my $simple =
    $net->simple_bind(shapes => { x => [2, 4], w => [4, 2] }, stype_dict => { w => 'default' }, grad_req => 'null');
is_deeply([map { $simple->arg_dict->{$_}->stype } qw(x w)], [qw(csr default)], 'stype_dict');
my $embedded = mx->sym->contrib->SparseEmbedding(mx->sym->Variable('i'), input_dim => 5, output_dim => 1, name => 'e');
my $looks = $embedded->simple_bind(shapes => { i => [2] }, grad_req => { e_weight => 'write' });
$looks->forward(1, i => nd->array([4, 2]));
$looks->backward;
is_close($looks->grad_dict->{e_weight}->indices, [2, 4], 'the gradient of an embedding in a graph');

done_testing;

#!/usr/bin/env perl
# A factorization machine on sparse features: perl factorization_machine.pl [epochs [train.libsvm columns]]
# Without a file it makes up people who like things: each row has a one for a person and a one for a thing.
use 5.014;
use strict;
use warnings;
use File::Temp qw(tempdir);
use AI::MXNet qw(mx);

my ($epochs, $file, $columns) = @ARGV;
$epochs //= 5;
mx->random->seed(1);
srand 1;

# People and things have a taste between -1 and 1; a person likes what tastes alike.
sub made_up
{
    my ($people, $things, $rows) = (300, 200, 8000);
    my $dir = tempdir(CLEANUP => 1);
    my @taste = map { rand(2) - 1 } 1 .. $people + $things;
    open my $out, '>', "$dir/likes.libsvm" or die "likes.libsvm: $!";
    for (1 .. $rows) {
        my ($person, $thing) = (int rand $people, $people + int rand $things);
        my $likes = $taste[$person] * $taste[$thing] > 0 ? 1 : 0;
        print {$out} "$likes $person:1 $thing:1\n";
    }
    close $out or die "likes.libsvm: $!";
    return ("$dir/likes.libsvm", $people + $things);
}

# y = b + x w + 1/2 sum over factors of (x v)^2 - x^2 v^2: every pair of features has a weight, the product of their factors.
sub machine
{
    my ($columns, $factors) = @_;
    my $x = mx->sym->Variable('data', stype => 'csr');
    my $w = mx->sym->Variable('w', shape => [$columns, 1], stype => 'row_sparse', init => mx->init->Zero);
    my $v = mx->sym->Variable('v', shape => [$columns, $factors], stype => 'row_sparse', init => mx->init->Normal(0.1));
    my $b = mx->sym->Variable('b', shape => [1], init => mx->init->Zero);
    my $pairs = mx->sym->square(mx->sym->dot($x, $v)) - mx->sym->dot(mx->sym->square($x), mx->sym->square($v));
    my $y = mx->sym->broadcast_add(mx->sym->dot($x, $w) + 0.5 * mx->sym->sum($pairs, axis => 1, keepdims => 1), $b);
    return mx->sym->LogisticRegressionOutput(data => $y, label => mx->sym->Variable('softmax_label'), name => 'out');
}

($file, $columns) = made_up() if not defined $file;
my $batches = mx->io->LibSVMIter({ data_libsvm => $file, data_shape => [$columns], batch_size => 100 });
my $right = mx->metric->CustomMetric(
    sub {
        my ($label, $guess) = @_;
        return (($guess->flat > 0.5) == $label->flat)->avg;
    },
    name => 'right'
);
my $model = mx->mod->Module(machine($columns, 4), context => mx->cpu);
$model->bind(data_shapes => $batches->provide_data, label_shapes => $batches->provide_label);
$model->init_params;
$model->init_optimizer(optimizer => 'adam', optimizer_params => { learning_rate => 0.02, lazy_update => 1 });
for my $epoch (1 .. $epochs) {
    $batches->reset;
    $right->reset;
    while (defined(my $batch = <$batches>)) {
        $model->forward_backward($batch);
        $model->update;
        $model->update_metric($right, $batch->label);
    }
    printf "epoch %d: %.1f%% right\n", $epoch, 100 * ($right->get)[1];
}

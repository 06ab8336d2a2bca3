use strict;
use warnings;
use Test::More;
use lib 't/lib', 'examples/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);

# Real digits: LeNet learns them, and does so alike every time.

my $folder = $ENV{MNIST} // '../data/mnist';
plan skip_all => "there are no digits in $folder: run `make data`" if not -e "$folder/train-images-idx3-ubyte";
local $ENV{MNIST} = $folder;
require Example::MNIST;

my $train = gluon->data->vision->MNIST(root => $folder);
my $test = gluon->data->vision->MNIST(root => $folder, train => 0);
is_deeply([map { $_->len } $train, $test], [60000, 10000], 'digits to train on, and to test with');
is_deeply($train->data->shape, [60000, 28, 28, 1], 'pictures');
is_deeply([map { $train->label->at($_) } 0 .. 9], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], 'labels');

# A network after so many digits in batches of 50, and the losses on the way.
sub trained
{
    my $count = shift;
    mx->random->seed(7);
    srand 7;
    my $net = Example::MNIST::lenet();
    $net->initialize(mx->init->Xavier);
    my $trainer = gluon->Trainer($net->collect_params, 'sgd', { learning_rate => 0.05, momentum => 0.9 });
    my $loss_of = gluon->loss->SoftmaxCrossEntropyLoss();
    my $digits = gluon->data->ArrayDataset($train->data->slice([0, $count - 1]), $train->label->slice([0, $count - 1]));
    my $batches = gluon->data->DataLoader($digits, batch_size => 50, shuffle => 1);
    my @losses;

    while (defined(my $batch = <$batches>)) {
        my $loss;
        autograd->record(
            sub {
                $loss = $loss_of->($net->(Example::MNIST::pictures($batch->[0])), $batch->[1]->astype('float32'));
            }
        );
        $loss->backward;
        $trainer->step(50);
        push @losses, $loss->mean->asscalar;
    }
    return ($net, @losses);
}

my ($net, @losses) = trained(10_000);
is(scalar @losses, 200, 'one pass over 10,000 digits');
my $accuracy = Example::MNIST::accuracy($net,
    gluon->data->DataLoader(gluon->data->ArrayDataset($test->data, $test->label), batch_size => 500));
cmp_ok($accuracy, '>=', 0.93, sprintf 'of 10,000 others %.2f %% are read right', 100 * $accuracy);

my $threads = AI::MXNet::Keshi::num_threads();
my @short;
for my $number (1, 2, 5) {
    AI::MXNet::Keshi::set_num_threads($number);
    my (undef, @few) = trained(500);
    push @short, \@few;
}
AI::MXNet::Keshi::set_num_threads($threads);
is_deeply($short[$_], $short[0], 'the same losses to the last bit, whatever the number of threads') for 1, 2;

done_testing;

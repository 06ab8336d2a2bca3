package Example::MNIST;
use 5.014;
use strict;
use warnings;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);
use Example::Progress qw(bar finish_line);
use Exporter qw(import);
use Time::HiRes qw(time);

# What the MNIST examples share: the digits in batches, LeNet, a training loop that shows how it goes, and the test.

our @EXPORT_OK = qw(digits lenet pictures train accuracy);

# The files that `make data` fetches, or those that are named in the environment.
sub _folder
{
    my ($here) = __FILE__ =~ m{^(.*)perl/examples/lib/};
    my $folder = $ENV{MNIST} // ($here // '') . 'data/mnist';
    die "There is no $folder/train-images-idx3-ubyte: run `make data`, or set MNIST to the folder of the four files.\n"
        if not -e "$folder/train-images-idx3-ubyte" and not -e "$folder/train-images-idx3-ubyte.gz";
    return $folder;
}

# A loader of batches [pictures of 28 by 28 bytes, labels].
sub digits
{
    my (%arg) = @_;
    my $set = gluon->data->vision->MNIST(root => _folder(), train => $arg{train});
    my $digits = gluon->data->ArrayDataset($set->data, $set->label);
    return gluon->data->DataLoader(
        $digits,
        batch_size => $arg{batch_size},
        shuffle => $arg{train},
        last_batch => $arg{train} ? 'discard' : 'keep'
    );
}

# Bytes as numbers between 0 and 1: batch, channel, height, width.
sub pictures
{
    my $bytes = shift;
    return $bytes->astype('float32')->reshape([-1, 1, 28, 28]) / 255;
}

# The convolutional network of the examples, with its parameters still to be had.
sub lenet
{
    my $net = nn->HybridSequential;
    $net->add(
        nn->Conv2D(20, 5, activation => 'relu'),
        nn->MaxPool2D(2, 2),
        nn->Conv2D(50, 5, activation => 'relu'),
        nn->MaxPool2D(2, 2),
        nn->Flatten,
        nn->Dense(500, activation => 'relu'),
        nn->Dense(10)
    );
    $net->hybridize;
    return $net;
}

# One pass over the digits after another; returns the accuracy on the test digits after the last.
sub train
{
    my (%arg) = @_;
    my ($net, $trainer, $batches) = @arg{qw(net trainer train)};
    my $loss_of = gluon->loss->SoftmaxCrossEntropyLoss();
    $loss_of->hybridize;
    my $accuracy;
    for my $epoch (1 .. $arg{epochs}) {
        my $start = time;
        my ($seen, $sum, $right) = (0, 0, 0);
        my $total = $batches->len;
        my $batch_number = 0;
        while (defined(my $batch = <$batches>)) {
            my ($pictures, $labels) = (pictures($batch->[0]), $batch->[1]->astype('float32'));
            my ($scores, $loss);
            autograd->record(
                sub {
                    $scores = $net->($pictures);
                    $loss = $loss_of->($scores, $labels);
                }
            );
            $loss->backward;
            $trainer->step($pictures->len);
            $seen += $pictures->len;
            $sum += $loss->sum->asscalar;
            $right += ($scores->argmax({ axis => 1 }) == $labels)->sum->asscalar;
            next if ++$batch_number % 10;
            bar(
                $batch_number, $total, sprintf 'epoch %d  loss %.4f  %.0f images/s',
                $epoch,
                $sum / $seen,
                $seen / (time - $start)
            );
        }
        my $speed = $seen / (time - $start);
        $accuracy = accuracy($net, $arg{test});
        finish_line(
            sprintf 'epoch %d  loss %.4f  training accuracy %.2f %%  test accuracy %.2f %%  %.0f images/s',
            $epoch,
            $sum / $seen,
            100 * $right / $seen,
            100 * $accuracy, $speed
        );
    }
    return $accuracy;
}

# The share of the digits that the network gets right.
sub accuracy
{
    my ($net, $batches) = @_;
    my ($seen, $right) = (0, 0);
    while (defined(my $batch = <$batches>)) {
        my $labels = $batch->[1]->astype('float32');
        $right += ($net->(pictures($batch->[0]))->argmax({ axis => 1 }) == $labels)->sum->asscalar;
        $seen += $labels->len;
    }
    return $right / $seen;
}

1;
